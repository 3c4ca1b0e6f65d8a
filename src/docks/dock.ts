import type { DockId } from '../base/ids.ts'
import type { Actor } from '../ledger/entry.ts'

/** A dock that is calling. `thumbprint` is that of the key its token was verified with (RFC 7638). */
export type Dock = { id: DockId; name: string; site: string; thumbprint: string }

/** How entries name a dock. */
export const dockActor = (dock: Pick<Dock, 'id'>): Actor => ({ kind: 'dock', id: dock.id })
