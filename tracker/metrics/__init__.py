"""What is measured while a session runs.

In: published events, and gauges that the pipeline keeps. Out: `model.SessionMetrics`, one model from which the JSON
line, the MQTT payload, Prometheus and the dashboard are derived. Nothing here changes what the session does.
"""
