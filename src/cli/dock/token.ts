import { createPrivateKey } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Enrolment } from './enrolment.ts'
import type { Caller } from './installation.ts'

const lifeSeconds = 300
const remadeSeconds = 60

/** A dock's token maker. `correct` takes the installation's clock for ours from then on. */
export type DockCaller = Caller & {
  correct(serverTime: Date): void
  /** How far the installation's clock is known to be ahead of ours, in milliseconds. */
  offset(): number
}

/** Signs short-lived tokens with the dock's own key; a token is used again until a minute before it ends. */
export const dockCaller = (
  { dock, privateKey }: Pick<Enrolment, 'dock' | 'privateKey'>,
  onSkew: (seconds: number) => void,
  clock: () => number = Date.now,
): DockCaller => {
  const key = createPrivateKey({ key: privateKey, format: 'jwk' })
  let offset = 0
  let made: { token: string; until: number } | undefined

  const sign = async (now: number): Promise<string> =>
    await new SignJWT({})
      .setProtectedHeader({ alg: 'EdDSA', kid: dock })
      .setIssuer(dock)
      .setAudience('exhibit')
      .setIssuedAt(now)
      .setExpirationTime(now + lifeSeconds)
      .sign(key)

  return {
    offset: () => offset,
    correct: (serverTime) => {
      const before = offset
      offset = serverTime.getTime() - clock()
      made = undefined
      if (Math.abs(offset - before) > 2000) onSkew(Math.round(offset / 1000))
    },
    token: async () => {
      const now = Math.floor((clock() + offset) / 1000)
      if (made === undefined || now > made.until || now < made.until - lifeSeconds) {
        made = { token: await sign(now), until: now + lifeSeconds - remadeSeconds }
      }
      return made.token
    },
  }
}
