"""A sink with a house of its own: events in, acknowledged MQTT messages out, each delivered at least once.

`topics`, `messages`, `payloads`, `homeassistant` and `asyncapi` say what is published (pure); `outbox`, `backlog` and
`journal` keep what is not yet delivered; `connection` and `broker` touch the network; `sink` runs them; `commands`
turns what subscribers ask for into requests; `watch` reads sessions from a broker.
"""
