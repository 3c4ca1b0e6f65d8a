import { defineConfig } from 'vitest/config'

/** Two cores are what we count on, and of three files one waits for engines at any time. Files that kill things have more to do. */
const workers = 3
const killers = 2

export default defineConfig({
  test: {
    maxWorkers: workers,
    projects: [
      {
        // The limit is for what hangs: on a busy machine all takes long.
        test: { name: 'pure', include: ['test/pure/**/*.test.ts'], testTimeout: 60_000, maxWorkers: workers },
      },
      {
        // One project, so that these files share the one set of engines that its set-up starts.
        test: {
          name: 'stack',
          include: ['test/{service,system,peers}/**/*.test.ts'],
          globalSetup: ['test/global-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: workers,
        },
      },
      {
        // Last. A file that kills an engine starts its own; the others kill processes, and share one set.
        test: {
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          globalSetup: ['test/global-setup.ts'],
          testTimeout: 400_000,
          hookTimeout: 180_000,
          maxWorkers: killers,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
