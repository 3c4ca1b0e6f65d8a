import { createServer, type Server } from 'node:http'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof makeMetrics>

/** Prometheus metrics of one process. Labels never carry an id of a person or of footage. */
export const makeMetrics = () => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'exhibit_' })
  const registers = [registry]
  return {
    registry,
    requests: new Histogram({
      name: 'exhibit_http_request_seconds',
      help: 'Time to answer',
      labelNames: ['route', 'status'],
      registers,
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    }),
    strangers: new Counter({
      name: 'exhibit_calls_without_valid_token_total',
      help: 'Calls that named no known actor',
      registers,
    }),
    ingestBytes: new Counter({ name: 'exhibit_ingest_bytes_total', help: 'Bytes acknowledged to docks', registers }),
    ingestMemory: new Gauge({
      name: 'exhibit_ingest_memory_bytes',
      help: 'Memory of the ingest budget in use',
      registers,
    }),
    ingestWaiting: new Gauge({
      name: 'exhibit_ingest_waiting',
      help: 'Uploads waiting for the ingest budget',
      registers,
    }),
    erasuresFailed: new Counter({
      name: 'exhibit_erasures_failed_total',
      help: 'Erasures that the store refused, failed with, or said it did and did not: each is tried again',
      registers,
    }),
    // Labelled, so that a process that never looked says nothing rather than 0.
    purgeStopped: new Gauge({
      name: 'exhibit_purge_stopped',
      help: 'Whether the newest purge waits for a release, did nothing by a wrong clock, gave up, or is at work for more than a day: 1 is an alarm',
      labelNames: ['why'],
      registers,
    }),
    storeMismatches: new Counter({
      name: 'exhibit_store_mismatches_total',
      help: 'Objects that the store no longer holds as the catalogue says: each is an alarm',
      registers,
    }),
    cosignatures: new Counter({
      name: 'exhibit_cosignatures_total',
      help: 'Checkpoints shown to a witness, by what came of it; anything but cosigned is tried again',
      labelNames: ['witness', 'outcome'],
      registers,
    }),
    // Labelled, so that a process that never looked says nothing rather than 0.
    entryMonths: new Gauge({
      name: 'exhibit_partition_months_ahead',
      help: 'Months after this one, without a gap, for which the table has a place: fewer than 12 are an alarm',
      labelNames: ['table'],
      registers,
    }),
    jobs: new Counter({ name: 'exhibit_jobs_total', help: 'Jobs ended', labelNames: ['name', 'outcome'], registers }),
  }
}

/** Serves the metrics on a port of their own. */
export const serveMetrics = (metrics: Metrics, host: string, port: number): Server =>
  createServer((_request, response) => {
    metrics.registry.metrics().then(
      (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    )
  }).listen(port, host)
