#!/bin/bash
# What upstream's script does for `start-foreground`, with Debian's jars.
set -euo pipefail

[ "${1-}" = start-foreground ] || { echo "this stand-in knows start-foreground only" >&2; exit 1; }
jars=
for jar in zookeeper zookeeper-jute commons-cli commons-io metrics-core netty-{buffer,codec,common,handler,resolver,transport} \
    netty-transport-native-{epoll,unix-common} netty-all slf4j-api slf4j-simple snappy-java jackson-{annotations,core,databind} \
    jetty9-{http,io,security,server,servlet,util,util-ajax} servlet-api; do
    [ ! -e "/usr/share/java/$jar.jar" ] || jars=$jars:/usr/share/java/$jar.jar
done
exec java "-Xmx${ZK_SERVER_HEAP:-1000}m" ${SERVER_JVMFLAGS-} -cp "$ZOO_CONF_DIR$jars" \
    org.apache.zookeeper.server.quorum.QuorumPeerMain "$ZOO_CONF_DIR/zoo.cfg"
