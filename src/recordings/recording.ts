import type { Collar } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { RecordingRow, RecordingStatus, RenditionRow } from '../engines/tables.ts'

/** In the order footage passes through them; `quarantined` stands aside. */
export const statuses = [
  'received',
  'verified',
  'active',
  'quarantined',
  'due',
  'grace',
  'erased',
] as const satisfies readonly RecordingStatus[]

/** What a list shows that asks for no status: not what is still on its way, hidden or gone. */
export const listedStatuses: readonly RecordingStatus[] = ['verified', 'active', 'quarantined', 'due']

/** The columns that the catalogue shows of a recording. */
export const shownColumns = [
  'id',
  'camera',
  'dock',
  'recordedAt',
  'clockOffset',
  'receivedAt',
  'duration',
  'size',
  'sha256',
  'status',
  'quarantinedBecause',
  'flags',
  'category',
  'incident',
  'number',
  'sequence',
  'filename',
  'tracks',
  'facts',
] as const satisfies readonly (keyof RecordingRow)[]

/** `officer`: whom the camera was assigned to when it recorded, by the corrected clock. */
export type CatalogueRow = Pick<RecordingRow, (typeof shownColumns)[number]> & {
  officer: Collar | null
  renditions: Pick<RenditionRow, 'kind' | 'state' | 'progress' | 'failure'>[]
}

/** A recording as the wire shows it. What is not known is null; only `clockOffset` is left out then. */
export const viewOf = ({ clockOffset, recordedAt, receivedAt, facts, ...row }: CatalogueRow) => ({
  ...row,
  recordedAt: iso(recordedAt),
  receivedAt: iso(receivedAt),
  ...(clockOffset === null ? {} : { clockOffset }),
  container: facts.container ?? null,
  startTime: facts.startTime ?? null,
  position: facts.position ?? null,
})

/** Why footage of this status is served to nobody, in whatever form. */
export const whyWithheld = (status: 'quarantined' | 'grace' | 'erased'): Problem => {
  switch (status) {
    case 'quarantined':
      return new Problem('quarantined', 'What was read back is not what was declared. It is kept, and never served.')
    case 'grace':
      return new Problem('conflict', 'The recording waits for its erasure. It can still be restored.')
    case 'erased':
      return new Problem('erased', 'The recording was erased. What is left is the proof of it.')
  }
}
