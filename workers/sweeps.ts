import { oweSidecars } from '../src/custody/owe-sidecars.ts'
import { forgetDownloads } from '../src/downloads/actions.ts'
import type { Sweep } from '../src/jobs/sweeps.ts'
import { cosignNewest } from '../src/ledger/cosigning/witnesses.ts'
import { makeMonths } from '../src/ledger/entries/partitions.ts'
import { clearLeftovers } from '../src/renditions/leftovers.ts'
import { startDailyPurge } from '../src/retention/purges.ts'
import { expireUploads, removeExpiredParts } from '../src/uploads/worklist.ts'
import { closeViewings } from '../src/viewings/closing.ts'

/** What time alone makes due. */
export const sweeps: Sweep[] = [
  { name: 'cosign-checkpoints', everySeconds: 10, run: cosignNewest },
  { name: 'make-partitions', everySeconds: 86_400, run: makeMonths },
  { name: 'expire-uploads', everySeconds: 60, run: expireUploads },
  { name: 'remove-expired-parts', everySeconds: 600, run: removeExpiredParts },
  { name: 'close-viewings', everySeconds: 30, run: closeViewings },
  { name: 'forget-downloads', everySeconds: 3600, run: forgetDownloads },
  { name: 'owe-sidecars', everySeconds: 30, run: oweSidecars },
  { name: 'clear-renditions', everySeconds: 600, run: clearLeftovers },
  { name: 'daily-purge', everySeconds: 300, run: startDailyPurge },
]
