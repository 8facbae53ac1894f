# mien's service: slim, without root, with its models; it runs on a read-only root, too.
#     docker build -t mien . && docker run --rm -p 127.0.0.1:8000:8000 -e MIEN_TOKEN=... mien
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md CHANGELOG.md ./
COPY src src
RUN python -m venv /opt/mien \
 && /opt/mien/bin/pip install --no-cache-dir ".[serve]" \
 && /opt/mien/bin/python -m compileall -q /opt/mien

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home mien && install -d -o mien -g mien -m 700 /data
COPY --from=build /opt/mien /opt/mien
ENV PATH=/opt/mien/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER mien
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", \
  "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["mien"]
# Refuses to start without a token, in MIEN_TOKEN or --token-file.
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]
