#!/bin/bash
# kafka-run-class.sh CLASS [ARGUMENT…]
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_OPTS-} -Dorg.slf4j.simpleLogger.defaultLogLevel="${LOG_LEVEL:-warn}" \
    -cp '/opt/kafka/libs/*' "$@"
