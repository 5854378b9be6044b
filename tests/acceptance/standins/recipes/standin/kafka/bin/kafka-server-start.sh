#!/bin/bash
export LOG_LEVEL=info KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xmx1g}
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
