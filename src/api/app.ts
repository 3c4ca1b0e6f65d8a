import { type IncomingMessage, METHODS } from 'node:http'
import type { Readable } from 'node:stream'
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import { newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { bundleRoutes } from '../bundles/routes.ts'
import { caseEventRoutes } from '../cases/event-routes.ts'
import { exhibitRoutes } from '../cases/exhibit-routes.ts'
import { caseRoutes } from '../cases/routes.ts'
import { clipRoutes } from '../clips/routes.ts'
import { continuityRoutes } from '../continuity/routes.ts'
import { disputeRoutes } from '../custody/dispute-routes.ts'
import { custodyRoutes } from '../custody/routes.ts'
import { cameraRoutes } from '../docks/camera-routes.ts'
import { dockRoutes } from '../docks/routes.ts'
import { downloadRoutes } from '../downloads/routes.ts'
import type { Engines } from '../engines/engines.ts'
import { issuerKeys } from '../people/issuer.ts'
import { peopleRoutes } from '../people/routes.ts'
import { recordingRoutes } from '../recordings/routes.ts'
import { renditionRoutes } from '../renditions/routes.ts'
import { decisionRoutes } from '../retention/decision-routes.ts'
import { holdRoutes } from '../retention/hold-routes.ts'
import { policyRoutes } from '../retention/policy-routes.ts'
import { purgeRoutes } from '../retention/purge-routes.ts'
import { retentionRoutes } from '../retention/routes.ts'
import { type Ingest, makeIngest } from '../uploads/ingest.ts'
import { uploadRoutes } from '../uploads/routes.ts'
import { uploadWorklistRoutes } from '../uploads/worklist-routes.ts'
import { playerRoutes } from '../viewings/player-routes.ts'
import { viewingRoutes } from '../viewings/routes.ts'
import { watchingRoutes } from '../viewings/watching-routes.ts'
import { answerBrokenRequest } from './client-errors.ts'
import { installGuards } from './guards.ts'
import { installHeaders } from './headers.ts'
import { healthRoutes } from './health-routes.ts'
import { jobRoutes } from './jobs-routes.ts'
import { readJson } from './json-body.ts'
import { ledgerEntriesRoutes } from './ledger-entries-routes.ts'
import { logRoutes } from './log-routes.ts'
import { collectOpenApi, serveOpenApi } from './openapi.ts'
import { sendProblem } from './problems.ts'
import { installRateLimit } from './rate-limit.ts'
import { makeReadiness, type Readiness, standardChecks } from './readiness.ts'
import { installRequestLog } from './request-log.ts'
import { keepRouteTable, methodsAt } from './route-table.ts'
import { stopGracefully } from './stopping.ts'
import { compileValidator, refuseWhatNobodyAskedFor } from './validation.ts'

const jsonLimit = 1024 * 1024
const headLimit = 16 * 1024

/** The features, in the order footage travels. Each declares who may call its routes (`config.may`). */
const features = (engines: Engines, ingest: Ingest) => [
  logRoutes(engines),
  ledgerEntriesRoutes(engines),
  jobRoutes(engines),
  peopleRoutes(engines),
  dockRoutes(engines),
  cameraRoutes(engines),
  uploadRoutes(engines, ingest),
  uploadWorklistRoutes(engines),
  recordingRoutes(engines),
  custodyRoutes(engines),
  disputeRoutes(engines),
  renditionRoutes(engines),
  viewingRoutes(engines),
  watchingRoutes(engines),
  playerRoutes(engines),
  clipRoutes(engines),
  caseRoutes(engines),
  exhibitRoutes(engines),
  caseEventRoutes(engines),
  continuityRoutes(engines),
  bundleRoutes(engines),
  downloadRoutes(engines),
  policyRoutes(engines),
  retentionRoutes(engines),
  holdRoutes(engines),
  purgeRoutes(engines),
  decisionRoutes(engines),
]

/** What may be asked of `makeApp` besides the engines: further dependencies for /readyz to name. */
export type AppOptions = { readiness?: Readiness }

/** tus 1.0.0, `X-HTTP-Method-Override`: for docks behind a proxy that lets only GET and POST through. */
const takeMethodOverride = (request: IncomingMessage): string => {
  const { url = '/' } = request
  const wanted = request.headers['x-http-method-override']
  if (url.startsWith('/api/v1/uploads') && typeof wanted === 'string' && METHODS.includes(wanted))
    request.method = wanted
  return url
}

const makeServer = ({ config, log }: Engines): FastifyInstance => {
  const logger: FastifyBaseLogger = log
  return fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => newId(),
    requestIdHeader: false,
    rewriteUrl: takeMethodOverride,
    trustProxy: config.TRUST_PROXY === '' ? false : config.TRUST_PROXY,
    bodyLimit: jsonLimit,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 1024 },
    // An upload may take hours; what stands still is ended by its reader. Heads have to come soon.
    requestTimeout: 0,
    keepAliveTimeout: 65_000,
    http: {
      headersTimeout: 20_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: headLimit + config.UPLOAD_METADATA_BYTES,
    },
    clientErrorHandler: answerBrokenRequest,
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
  })
}

/** A body that was announced with `Expect: 100-continue` is asked for only once it is known that it will be read. */
const askForBodiesLate = (app: FastifyInstance): void => {
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response))
  app.addHook('preParsing', async (request, reply) => {
    if (request.headers.expect?.toLowerCase() === '100-continue') reply.raw.writeContinue()
  })
}

const refuseNowhere = (app: FastifyInstance): void => {
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return
    const methods = methodsAt(app, request.url.split('?')[0] ?? '')
    if (methods.length === 0) throw new Problem('not-found')
    reply.header('allow', methods.join(', '))
    throw new Problem('method-not-allowed')
  })
  app.setNotFoundHandler((request, reply) => sendProblem(new Problem('not-found'), request, reply))
}

/** The whole api as one application, ready to listen or to be injected. */
export const makeApp = async (engines: Engines, { readiness = {} }: AppOptions = {}): Promise<FastifyInstance> => {
  const { config, metrics } = engines
  const app = makeServer(engines)
  const keys = issuerKeys(config.OIDC_ISSUER)
  const ingest = makeIngest(engines)
  app.setErrorHandler(sendProblem)
  app.setValidatorCompiler(compileValidator)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: Readable) => {
    const length = request.headers['content-length']
    return await readJson(payload, length === undefined ? undefined : Number(length), request.routeOptions.bodyLimit)
  })

  keepRouteTable(app)
  installHeaders(app, config.PUBLIC_URL)
  installRequestLog(app, metrics)
  stopGracefully(app, config.STOP_SECONDS, ingest)
  refuseNowhere(app)
  installGuards(app, engines, keys)
  await installRateLimit(app, config)
  askForBodiesLate(app)
  app.addHook('preValidation', refuseWhatNobodyAskedFor)

  await collectOpenApi(app, config.PUBLIC_URL)
  const report = makeReadiness({ ...standardChecks(engines, keys), ...readiness })
  // Asked once at the start, so that the log says what is promised and what is not.
  app.addHook('onListen', async () => void (await report()))
  await app.register(healthRoutes(report))
  for (const routes of features(engines, ingest)) await app.register(routes, { prefix: '/api/v1' })
  await serveOpenApi(app)
  await app.ready()
  return app
}
