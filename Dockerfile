# One image for every role: `docker run touchline worker`, `... migrate`, `... query "SELECT 1"`.
# The embedded servers are not for containers: give it TOUCHLINE_KAFKA__BOOTSTRAP and TOUCHLINE_CLICKHOUSE__URL.

FROM python:3.11-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
WORKDIR /src
RUN python -m venv /opt/touchline
# What we need, and what compiles us, without our sources: this layer changes only when a version does.
COPY constraints.txt pyproject.toml setup.py README.md LICENSE ./
RUN /opt/touchline/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[compile]'
COPY schemas ./schemas
COPY streams ./streams
COPY sinks ./sinks
RUN TOUCHLINE_COMPILE=1 /opt/touchline/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation --force-reinstall . \
    # What compiled us; the engine of the embedded ClickHouse, and what only it declares: 800 MB that nothing here calls.
    && /opt/touchline/bin/pip uninstall --yes --quiet mypy librt chdb chdb-core pandas pyarrow numpy

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/touchline --create-home touchline
COPY --from=build /opt/touchline /opt/touchline
ENV PATH=/opt/touchline/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TOUCHLINE_HOME=/var/lib/touchline
USER touchline
WORKDIR /var/lib/touchline
# SIGTERM lets a worker finish its batch and leave the group.
STOPSIGNAL SIGTERM
# Whether the worker in here lives, not whether its servers do: it waits for those, and starting it again helps nobody.
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s --retries=3 CMD ["touchline", "doctor", "--worker"]
ENTRYPOINT ["touchline"]
CMD ["--help"]
