import type { Sha256 } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { whyWithheldNow } from '../bundles/withheld.ts'
import { isGivenUp } from '../custody/queries.ts'
import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'
import type { Operation } from '../ledger/entry.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import { type Wanted, whyNot, whyNotYet } from './download.ts'
import { bundleToDownload, clipToDownload, isMade, recordingToDownload } from './queries.ts'

export const operationFor = ({ type }: Wanted): Operation => (type === 'bundle' ? 'disclosure' : 'consultation')
export const permissionFor = ({ type }: Wanted) => `${type}.download` as const

/** What was found of what a person asks for. Undefined when they may not know of it; a Problem when it cannot be had. */
export const findFor = async (tx: Tx, person: Person, wanted: Wanted) => {
  switch (wanted.type) {
    case 'recording': {
      const found = await recordingToDownload(tx, person, wanted.id)
      if (found === undefined) return undefined
      const refusal = whyNot(found.status, await isGivenUp(tx, wanted.id, found.status))
      return refusal ?? { ...whole(found), recording: wanted.id, clip: null, bundle: null }
    }
    case 'clip': {
      const found = await clipToDownload(tx, person, wanted.id)
      const refusal = found && (whyNot(found.status) ?? whyNotYet('clip', found.state))
      return found && (refusal ?? { ...whole(found), recording: found.recording, clip: wanted.id, bundle: null })
    }
    case 'bundle': {
      const found = await bundleToDownload(tx, person, wanted.id)
      if (found === undefined) return undefined
      const refusal = whyNotYet('bundle', found.state) ?? (await whyWithheldNow(tx, wanted.id))
      const { recipient } = found
      return refusal ?? { ...whole(found), recipient, recording: null, clip: null, bundle: wanted.id }
    }
  }
}

/** Throws where what is ready lacks what only the unready may. */
export const whole = ({ size, sha256 }: { size: number | null; sha256: Sha256 | null }) => {
  if (size === null || sha256 === null) throw new Error('what can be downloaded has a size and a digest')
  return { size, sha256 }
}

/** Answers `not-found`; where it is there, the refusal is recorded. Never call it inside a transaction. */
export const refuseHidden = async (engines: Engines, person: Person, wanted: Wanted): Promise<never> => {
  const action = permissionFor(wanted)
  if (wanted.type === 'recording') return await refuseUnseen(engines, person, wanted.id, 'recording.download')
  if (await isMade(engines.db, wanted.type, wanted.id)) {
    const act = { operation: operationFor(wanted), action, subject: wanted, actor: actor(person, action) }
    await recordRefusal(engines, act)
  }
  throw new Problem('not-found')
}
