"""The MQTT sink: events in, acknowledged messages out, each delivered at least once.

`topics`, `messages`, `payloads`, `homeassistant` and `asyncapi` define what is published, without I/O. `outbox`,
`disk_outbox`, `spool` and `write_ahead` keep what is not yet delivered. `connection` and `broker` touch the network.
`sink` runs them. `commands` turns messages into requests. `remote` and `watch` show sessions from a broker.
"""
