import type { Operations } from '../../src/connector/contract.ts'
import { categories, directories, filters, login, tariff } from './operations/account.ts'
import { checklists, scripts } from './operations/checks.ts'
import { files, reports } from './operations/files.ts'
import { audio, calls, chat, tasks, video } from './operations/tasks.ts'
import type { Config } from './schema.ts'

/** What the API does beside what calls need. */
export const operations: Operations<Config> = {
  tasks,
  calls,
  audio,
  video,
  chat,
  files,
  reports,
  checklists,
  scripts,
  categories,
  directories,
  filters,
  tariff,
  login,
}
