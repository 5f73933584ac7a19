# What is published, and what it needs to run; nothing else.
FROM node:26-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN sh .ci/build-server dist \
 && npm ci --ignore-scripts --omit=dev

FROM node:26-slim
WORKDIR /app
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
# `prism`, for the command below and for `docker exec`.
RUN ln -s /app/dist/server/prism.cjs /usr/local/bin/prism \
 && mkdir /data && chown 1000:1000 /data
# The image's user "node". By number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 1000:1000
VOLUME /data
EXPOSE 8980 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8090/health').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node is process 1 and gets SIGTERM itself. Without auth it would listen on the container's own loopback only.
# The folder is a flag and no variable: a variable would win over the database of a configuration file.
CMD ["prism", "serve", "--listen", "0.0.0.0:8980", "--data-dir", "/data"]
