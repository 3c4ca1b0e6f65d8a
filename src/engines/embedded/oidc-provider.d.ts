/** The part of oidc-provider 9 in use here; the package carries no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  type Account = { accountId: string; claims(): Record<string, unknown> }
  type InteractionDetails = {
    uid: string
    prompt: { name: string }
    params: Record<string, unknown>
    session?: { accountId: string }
  }
  type ResourceServer = {
    scope: string
    audience: string
    accessTokenTTL: number
    accessTokenFormat: 'jwt'
    jwt: { sign: { alg: string } }
  }
  type Grant = {
    addOIDCScope(scope: string): void
    addResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }

  export class Provider {
    constructor(issuer: string, configuration: ProviderConfiguration)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<InteractionDetails>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: { login?: { accountId: string }; consent?: { grantId: string } },
    ): Promise<void>
    Grant: new (of: {
      accountId: string
      clientId: string
    }) => Grant
  }

  export type ProviderConfiguration = {
    clients: readonly Record<string, unknown>[]
    jwks: { keys: readonly Record<string, unknown>[] }
    cookies: { keys: readonly string[] }
    claims: Record<string, readonly string[]>
    ttl: Record<string, number>
    interactions: { url(context: unknown, interaction: { uid: string }): string }
    findAccount(context: unknown, subject: string): Account | undefined
    extraTokenClaims(context: unknown, token: { accountId?: string }): Record<string, unknown> | undefined
    features: {
      devInteractions: { enabled: boolean }
      resourceIndicators: {
        enabled: boolean
        defaultResource(): string
        useGrantedResource(): boolean
        getResourceServerInfo(context: unknown, resource: string): ResourceServer
      }
    }
  }
}
