# The service alone: no MongoDB, no development tools. docs/how-to/operations.md says how to run it.
FROM python:3.13-slim AS build
RUN python -m venv /opt/sheaf
WORKDIR /src
COPY requirements/production.txt requirements/
RUN /opt/sheaf/bin/pip install --no-cache-dir --require-hashes --requirement requirements/production.txt
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY service service
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && /opt/sheaf/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --user-group --uid 10001 --no-create-home --shell /usr/sbin/nologin sheaf
COPY --from=build /opt/sheaf /opt/sheaf
ENV PATH=/opt/sheaf/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SHEAF_HOST=0.0.0.0 \
    SHEAF_PORT=8000
WORKDIR /srv/sheaf
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['SHEAF_PORT'] + '/api/health/ready', timeout=5)"]
CMD ["sheaf", "serve"]
