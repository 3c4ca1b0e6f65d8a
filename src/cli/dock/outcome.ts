import type { Sha256 } from '../../base/ids.ts'
import type { ReceiptClaims } from '../../custody/receipt.ts'

/**
 * What became of a file. `held`: in custody, its receipt verified here. `wiped`: the same, and deleted here. `sent`: every
 * byte acknowledged, receipt not waited for. `verifying`: the installation still reads it back. `unverified`: said to be in
 * custody, but without a receipt that this dock can believe. `unfinished`: we were told to stop.
 */
export type FileState =
  | 'held'
  | 'wiped'
  | 'sent'
  | 'verifying'
  | 'quarantined'
  | 'erased'
  | 'unverified'
  | 'failed'
  | 'unfinished'

export type Outcome = {
  /** Relative to the folder, with slashes. */
  name: string
  size: number
  sha256?: Sha256
  state: FileState
  /** One sentence for a person. */
  detail: string
  /** The compact JWS, and what it states once it was verified. */
  receipt?: string
  claims?: ReceiptClaims
}

/** What happens while a dock works, in order. Sizes and offsets in bytes. */
export type DockEvent =
  | { type: 'hashing'; name: string; done: number; size: number }
  | { type: 'announced'; files: { name: string; size: number; state: string }[] }
  | { type: 'sending'; name: string; done: number; size: number }
  | { type: 'retrying'; name?: string; because: string; inSeconds: number }
  | { type: 'waiting'; name: string }
  | { type: 'note'; text: string }
  | { type: 'outcome'; outcome: Outcome }

export type Summary = {
  camera: string
  files: Outcome[]
  /** Acknowledged by the installation during this run. */
  bytesSent: number
  seconds: number
  /** Whether every file got where it was to go. */
  ok: boolean
}
