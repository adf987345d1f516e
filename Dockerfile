# One image for every process of an installation: `serve`, `work`, `migrate`, and the commands that look at it.
# scripts/check-dockerfile.ts builds the same without a container engine.

# The version that package.json pins.
FROM node:26.10.0-bookworm-slim AS base

FROM base AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# A checkout made under a strict umask would give files that only root may read.
RUN npm run build && chmod -R a+rX,go-w package.json LICENSE bin dist

FROM base AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages hold a Node for machines without one, and speed-ups that nothing needs.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund && chmod -R a+rX,go-w node_modules

FROM base
LABEL org.opencontainers.image.title="Cordboard" \
      org.opencontainers.image.description="Phone-system webhooks in, analysed calls out, each written to the CRM exactly once" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    CORDBOARD_DATA=/data
# A named volume that is put on /data takes over its owner. The configuration is mounted at /config.
RUN mkdir -p /config /data && chown 1000:1000 /data && chmod 700 /data
COPY --from=dependencies /app/node_modules /app/node_modules
COPY --from=build /app/package.json /app/LICENSE /app/
COPY --from=build /app/bin /app/bin
COPY --from=build /app/dist /app/dist
WORKDIR /config
# By number, so that Kubernetes can see that it is not root. Nothing but /data is written to.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/cordboard.js"]
CMD ["serve", "--host", "0.0.0.0"]
