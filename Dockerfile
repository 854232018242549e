# One image for every service: `mcenter sink`, `mcenter processors`, `mcenter notifier`, `mcenter server` and the commands that set up.
# With s3fs, for models in a bucket; a store of another kind needs another package (docs/operate.md).
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/mcenter && /opt/mcenter/bin/pip install --no-cache-dir -c constraints.txt ".[postgresql]" s3fs

FROM python:3.13-slim
COPY --from=build /opt/mcenter /opt/mcenter
RUN useradd --uid 10001 --create-home --home-dir /var/lib/mcenter mcenter \
    && install -d -o mcenter -m 700 /var/lib/mcenter/server
ENV PATH=/opt/mcenter/bin:$PATH PYTHONUNBUFFERED=1 MCENTER_METRICS_HOST=0.0.0.0 MCENTER_METRICS_PORT=9464
USER 10001
WORKDIR /var/lib/mcenter
EXPOSE 9464
ENTRYPOINT ["mcenter"]
