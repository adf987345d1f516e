import type { Command } from './command.ts'

/** Every command: one line for the help, and its code, loaded when it is asked for. */
export interface Entry {
  about: string
  load(): Promise<{ command: Command }>
}

export const commands: Readonly<Record<string, Entry>> = {
  demo: {
    about: 'A whole installation in memory, with calls crossing it',
    load: () => import('./commands/demo.ts'),
  },
  sandbox: { about: 'Stand-ins of all vendors on this machine', load: () => import('./commands/sandbox.ts') },
  init: { about: 'Writes cordboard.config.ts and .env.example', load: () => import('./commands/init.ts') },
  serve: { about: 'Takes webhooks and does the work', load: () => import('./commands/serve.ts') },
  work: { about: 'Does the work beside other processes', load: () => import('./commands/work.ts') },
  migrate: { about: 'Brings the database up to date', load: () => import('./commands/migrate.ts') },
  backup: { about: 'Copies the store while it is in use', load: () => import('./commands/backup.ts') },
  restored: { about: 'Says that an older copy was put back', load: () => import('./commands/restored.ts') },
  doctor: { about: 'Checks everything, says what to do', load: () => import('./commands/doctor.ts') },
  calls: { about: 'Lists calls; finds one by number or id', load: () => import('./commands/calls.ts') },
  show: { about: 'One call: its timeline, where it was written', load: () => import('./commands/show.ts') },
  issues: { about: 'What a person must look at', load: () => import('./commands/issues.ts') },
  send: { about: 'Signs a fixture and posts it', load: () => import('./commands/send.ts') },
  import: { about: 'Hands in the calls of a CSV', load: () => import('./commands/import.ts') },
  replay: {
    about: 'Puts stored deliveries through today’s code',
    load: () => import('./commands/replay.ts'),
  },
  backfill: {
    about: 'Reads the vendor’s own list of calls',
    load: () => import('./commands/backfill.ts'),
  },
  subscribe: {
    about: 'Creates the webhook at the vendor',
    load: () => import('./commands/subscribe.ts'),
  },
  listen: { about: 'Holds a vendor’s stream of events open', load: () => import('./commands/listen.ts') },
  choose: { about: 'Says whose call it is', load: () => import('./commands/choose.ts') },
  match: { about: 'Says whom a CRM knows by a number', load: () => import('./commands/match.ts') },
  crm: { about: 'Makes what a CRM needs', load: () => import('./commands/crm.ts') },
  rerun: { about: 'Does a call’s work again', load: () => import('./commands/rerun.ts') },
  flow: { about: 'Says which way a call goes, and why', load: () => import('./commands/flow.ts') },
  backend: {
    about: 'What a vendor’s API does beside calls',
    load: () => import('./commands/backend.ts'),
  },
  config: {
    about: 'Checks, prints, describes the configuration',
    load: () => import('./commands/config.ts'),
  },
  cloudflare: {
    about: 'Writes what a Worker is bundled from',
    load: () => import('./commands/cloudflare.ts'),
  },
  connector: { about: 'Makes a new connector, tests it', load: () => import('./commands/connector.ts') },
}
