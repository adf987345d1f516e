import { z } from 'zod'
import { type Schemas, shown } from '../client.ts'
import { docs, given, id, operation, page, text } from './operation.ts'
import { compareQuestions, compareScripts, syncQuestions, syncScripts } from './sync.ts'

/** What calls are checked by: questions of the checklist, and scripts. */

export const checklists = {
  list: operation({
    says: 'the active questions; of another user for an administrator',
    docs,
    input: z.object({ userId: id('number of the user').optional() }),
    run: ({ userId }, ctx) =>
      userId === undefined
        ? shown({ endpoint: '/checklist' }, ctx)
        : shown({ endpoint: '/checklist/{id}', path: `/checklist/${userId}` }, ctx),
  }),
  add: operation({
    says: 'a new question',
    docs,
    changes: 'changes',
    input: z.object({ question: text('its wording', 2000) }),
    run: ({ question }, ctx) => shown({ endpoint: '/checklist', json: { question } }, ctx),
  }),
  edit: operation({
    says: 'another wording of a question that has no answers yet',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number'), question: text('its new wording', 2000) }),
    run: ({ id, question }, ctx) =>
      shown({ endpoint: '/checklist/{id}', path: `/checklist/${id}`, json: { question } }, ctx),
  }),
  hide: operation({
    says: 'deletes or hides a question',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number') }),
    run: ({ id }, ctx) => {
      const path = `/checklist/delete/${id}`
      return shown({ endpoint: '/checklist/delete/{checklist_id}', path, method: 'POST' }, ctx)
    },
  }),
  answers: operation({
    says: 'the answers for a task',
    docs,
    input: z.object({ taskId: id('internal number of the task (`id`, not its code)') }),
    run: ({ taskId }, ctx) =>
      shown({ endpoint: '/checklist/answer/{task_id}', path: `/checklist/answer/${taskId}` }, ctx),
  }),
  compare: operation({
    says: 'what checklists sync would change',
    docs,
    input: z.object({}),
    run: (_, ctx) => compareQuestions(ctx),
  }),
  sync: operation({
    says: 'makes the questions those of the configuration: created, edited, hidden',
    docs,
    changes: 'changes',
    input: z.object({}),
    run: (_, ctx) => syncQuestions(ctx),
  }),
}

const script = {
  description: text('what it is for').optional(),
  active: z.stringbool().optional().describe('whether calls are checked by it'),
  scriptVersion: z.coerce.number().int().positive().optional().describe('its version'),
}

const scriptFields = ({ description, active, scriptVersion }: z.output<z.ZodObject<typeof script>>) =>
  given({ description, is_active: active, version: scriptVersion })

export const scripts = {
  list: operation({
    says: 'the call check scripts',
    docs,
    input: z.object({
      q: text('part of identifier or title', 256).optional(),
      onlyActive: z.stringbool().optional().describe('leave out those that are not in use'),
      ...page,
    }),
    run: ({ q, onlyActive, page, perPage }, ctx) => {
      const json: Schemas['ScriptSearch'] = {
        ...given({ q, only_active: onlyActive }),
        page,
        per_page: perPage,
      }
      return shown({ endpoint: '/user/call_check_scripts/list', json }, ctx)
    },
  }),
  add: operation({
    says: 'a new script',
    docs,
    changes: 'changes',
    input: z.object({
      identifier: text('its own name in the account', 200),
      title: text('its title', 500),
      body: text('its text', 200_000),
      ...script,
    }),
    run: ({ identifier, title, body, ...rest }, ctx) => {
      const json: Schemas['ScriptNew'] = { identifier, title, script_body: body, ...scriptFields(rest) }
      return shown({ endpoint: '/user/call_check_scripts/create', json }, ctx)
    },
  }),
  edit: operation({
    says: 'changes a script',
    docs,
    changes: 'changes',
    input: z.object({
      id: id('its number'),
      identifier: text('another name in the account', 200).optional(),
      title: text('another title', 500).optional(),
      body: text('another text', 200_000).optional(),
      ...script,
    }),
    run: ({ id, identifier, title, body, ...rest }, ctx) => {
      const json: Schemas['ScriptEdit'] = {
        ...given({ identifier, title, script_body: body }),
        ...scriptFields(rest),
      }
      const path = `/user/call_check_scripts/edit/${id}`
      return shown({ endpoint: '/user/call_check_scripts/edit/{script_id}', path, json }, ctx)
    },
  }),
  remove: operation({
    says: 'deletes a script',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number') }),
    run: ({ id }, ctx) => {
      const path = `/user/call_check_scripts/delete/${id}`
      return shown({ endpoint: '/user/call_check_scripts/delete/{script_id}', path, method: 'POST' }, ctx)
    },
  }),
  compare: operation({
    says: 'what scripts sync would change',
    docs,
    input: z.object({}),
    run: (_, ctx) => compareScripts(ctx),
  }),
  sync: operation({
    says: 'makes the scripts those of the configuration: created, edited, switched off',
    docs,
    changes: 'changes',
    input: z.object({}),
    run: (_, ctx) => syncScripts(ctx),
  }),
}
