"""What is measured while a session runs: gauges that the steps keep, and one model that all displays read.

Comes in: published events, and the state of edges. Goes out: `Vitals`, to the dashboard, MQTT and Prometheus. Nothing
here changes what the session does.
"""
