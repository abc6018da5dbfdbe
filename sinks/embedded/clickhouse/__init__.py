"""A ClickHouse server for one machine: chDB, the real engine, behind ClickHouse's own two protocols.

`python -m sinks.embedded.clickhouse --data DIR` serves it; see `server` for the contract of the command.
Any client of ClickHouse may connect. What the engine cannot do is listed in `engine`.
"""
