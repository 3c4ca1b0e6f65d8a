import type { Installation } from '../up/start.ts'
import type { AskAs } from './caller.ts'
import type { Docked } from './shift.ts'
import type { Teller } from './teller.ts'

export type Scene = {
  installation: Installation
  docked: Docked[]
  folder: string
  tell: Teller
  signal: AbortSignal
  /** Where a browser is to try the player, the file for a still of its page. */
  still: string | undefined
  askAs: AskAs
}
