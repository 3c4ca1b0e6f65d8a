import { setTimeout as sleep } from 'node:timers/promises'
import { Failure, sentence } from '../failure.ts'
import { announceAgain, type Item } from './manifest.ts'
import type { Dock } from './open-dock.ts'
import type { Outcome } from './outcome.ts'
import type { Prepared } from './prepare.ts'
import { awaitReceipt, checkReceipt, keepReceipt } from './receipt.ts'
import { isFinal } from './retry.ts'
import { sendFile } from './send-file.ts'
import { wipe } from './wipe.ts'

type Ending = Omit<Outcome, 'name' | 'size' | 'sha256'>

const beforeAskingAgainMs = 5000
const mostSendings = 2
const mostRestarts = 5

/** In custody, it is said: the receipt decides. */
const settleReceipt = async (dock: Dock, file: Prepared, jws: string): Promise<Ending> => {
  const { wipe: wanted, receiptsFolder } = dock.options
  const checked = await checkReceipt(dock, file, jws)
  if ('doubt' in checked) return { state: 'unverified', detail: `Not wiped. ${checked.doubt}`, receipt: jws }
  const { claims } = checked
  if (receiptsFolder !== undefined) await keepReceipt(receiptsFolder, claims, jws)
  const known = { receipt: jws, claims }
  const detail = `In custody, receipt verified (recording ${claims.recordingId}).`
  if (wanted !== true) return { state: 'held', detail, ...known }
  const left = await wipe(file, claims)
  if (left !== undefined) return { state: 'failed', detail: `In custody, but not wiped. ${left}`, ...known }
  dock.memory.forget(file.name)
  return { state: 'wiped', detail: `${detail} Deleted here.`, ...known }
}

const said: Record<string, Ending> = {
  quarantined: {
    state: 'quarantined',
    detail: 'In quarantine: what was read back is not what was declared, twice. Keep the file; a supervisor decides.',
  },
  erased: {
    state: 'erased',
    detail: 'Its recording was erased there, so it is not taken again. A supervisor may re-admit it.',
  },
}

/** Follows one file from what the manifest said to where nothing more can be done for it now. */
const follow = async (dock: Dock, file: Prepared, first: Item): Promise<Ending> => {
  const { wait = 1800 } = dock.options
  let item = first
  let sendings = 0
  let restarts = 0
  let until: number | undefined

  const announceOver = async (): Promise<void> => {
    if (++restarts > mostRestarts) throw new Failure('The installation gave this upload up again and again.')
    item = await announceAgain(dock, file)
  }

  for (;;) {
    dock.signal.throwIfAborted()
    const settled = said[item.state]
    if (settled !== undefined) return settled

    if (item.state === 'owed' || item.state === 'uploading') {
      if (sendings === mostSendings)
        return { state: 'failed', detail: 'It was sent twice and is owed still: try again later.' }
      const begun = item.state === 'owed' ? undefined : (item.uploadUrl ?? dock.memory.upload(file))
      const address = await dock.sending(async () => await sendFile(dock, file, begun))
      if (address === undefined) await announceOver()
      else {
        sendings++
        item = { name: file.name, sha256: file.declared, state: 'verifying', receiptUrl: `${address}/receipt` }
      }
      continue
    }

    if (item.state !== 'verifying' && item.state !== 'held') {
      throw new Failure(`The installation says that this file is ${item.state}, which this dock does not understand.`)
    }
    if (wait === false && item.state === 'verifying') {
      return sendings > 0
        ? { state: 'sent', detail: 'Every byte is acknowledged; the receipt was not waited for.' }
        : { state: 'verifying', detail: 'Every byte had arrived before; the receipt was not waited for.' }
    }
    if (item.receiptUrl === undefined) throw new Failure('The installation did not say where the receipt is.')
    until ??= performance.now() + (wait === false ? 0 : wait * 1000)
    const asked = await awaitReceipt(dock, file, item.receiptUrl, until)
    if (asked === 'still-owed')
      return { state: 'verifying', detail: 'Every byte is acknowledged; it is being read back. Ask again later.' }
    if ('jws' in asked) return await settleReceipt(dock, file, asked.jws)
    // Another dock's upload is not ours to ask about: wait until the manifest tells what became of it.
    if (asked.refused.status === 404) {
      if (performance.now() > until)
        return { state: 'verifying', detail: 'Another dock sent it; it is being read back. Ask again later.' }
      await sleep(beforeAskingAgainMs, undefined, { signal: dock.signal })
      item = await announceAgain(dock, file)
    } else {
      dock.tell({ type: 'note', text: `${file.name}: ${asked.refused.message}` })
      await announceOver()
    }
  }
}

/** The same, with every end as an outcome: nothing that happens to one file keeps the others from their way. */
export const settle = async (dock: Dock, file: Prepared, item: Item): Promise<Outcome> => {
  const { name, size, sha256 } = file
  try {
    return { name, size, sha256, ...(await follow(dock, file, item)) }
  } catch (error) {
    if (isFinal(error)) dock.halt(error)
    return { name, size, sha256, ...failed(dock, error) }
  }
}

export const failed = (dock: Dock, error: unknown): Ending =>
  dock.signal.aborted && !isFinal(error)
    ? {
        state: 'unfinished',
        detail: 'Stopped before it was done. What was acknowledged is kept; the next run goes on from there.',
      }
    : { state: 'failed', detail: sentence(error) }
