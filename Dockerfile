# One image for the api, the worker and the operator's commands. Written for `docker compose` (docker-compose.yml); where it
# was written no Docker engine was at hand, so it was not built there: `npm ci` with these flags and the processes on what it
# installs were tried, the names of the base image and of its packages were not.
#
# Bookworm and not a newer Debian: its ffmpeg (5.1) is the one that everything was measured with.
FROM node:26-bookworm-slim AS packages
WORKDIR /exhibit
COPY package.json package-lock.json .npmrc ./
# Optional are the embedded Postgres and the pinned Node, and the image has both from elsewhere.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:26-bookworm-slim
# bubblewrap confines ffmpeg; without it, or where the container may not make namespaces, /readyz and `doctor` say so.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ffmpeg bubblewrap \
  && rm -rf /var/lib/apt/lists/*
# Folders that volumes are laid over take their owner from here.
RUN install --directory --owner=node --group=node --mode=700 /keys /log-keys \
  && install --directory --owner=node --group=node --mode=711 /scratch
WORKDIR /exhibit
COPY --from=packages /exhibit/node_modules ./node_modules
COPY package.json LICENSE ./
COPY migrations ./migrations
COPY src ./src
COPY workers ./workers
ENV NODE_ENV=production HTTP_HOST=0.0.0.0 SCRATCH_DIR=/scratch
USER node
EXPOSE 8080
CMD ["node", "src/api/main.ts"]
