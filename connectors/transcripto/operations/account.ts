import { z } from 'zod'
import { type Schemas, shown } from '../client.ts'
import { toCriteria } from './criteria.ts'
import { docs, given, id, operation, page, text } from './operation.ts'

/** Lists of the account, its plan, and its token. */

export const directories = {
  list: operation({
    says: 'the directories',
    docs,
    input: z.object({}),
    run: (_, ctx) => shown({ endpoint: '/user/directories' }, ctx),
  }),
  add: operation({
    says: 'a new directory',
    docs,
    changes: 'changes',
    input: z.object({ name: text('its name', 256) }),
    run: ({ name }, ctx) => shown({ endpoint: '/user/directories', json: { name } }, ctx),
  }),
  remove: operation({
    says: 'deletes a directory; what becomes of its tasks is not documented',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number') }),
    run: ({ id }, ctx) => {
      const path = `/user/directories/delete/${id}`
      return shown({ endpoint: '/user/directories/delete/{directory_id}', path, method: 'DELETE' }, ctx)
    },
  }),
}

const category = {
  description: text('what belongs to it').optional(),
  parentId: id('number of the category above').optional(),
}

export const categories = {
  list: operation({
    says: 'the categories of calls',
    docs,
    input: z.object({
      q: text('part of name or description', 256).optional(),
      parentId: id('number of the category above').optional(),
      ...page,
    }),
    run: ({ q, parentId, page, perPage }, ctx) => {
      const json: Schemas['CategorySearch'] = {
        ...given({ q, parent_id: parentId }),
        page,
        per_page: perPage,
      }
      return shown({ endpoint: '/user/call_categories/list', json }, ctx)
    },
  }),
  add: operation({
    says: 'a new category',
    docs,
    changes: 'changes',
    input: z.object({ name: text('its name', 256), ...category }),
    run: ({ name, description, parentId }, ctx) => {
      const json: Schemas['CategoryNew'] = { name, ...given({ description, parent_id: parentId }) }
      return shown({ endpoint: '/user/call_categories/create', json }, ctx)
    },
  }),
  edit: operation({
    says: 'changes a category',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number'), name: text('another name', 256).optional(), ...category }),
    run: ({ id, name, description, parentId }, ctx) => {
      const json: Schemas['CategoryEdit'] = given({ name, description, parent_id: parentId })
      const path = `/user/call_categories/edit/${id}`
      return shown({ endpoint: '/user/call_categories/edit/{id}', path, json }, ctx)
    },
  }),
  remove: operation({
    says: 'deletes a category that has none below it',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number') }),
    run: ({ id }, ctx) => {
      const path = `/user/call_categories/delete/${id}`
      return shown({ endpoint: '/user/call_categories/delete/{id}', path, method: 'POST' }, ctx)
    },
  }),
}

export const filters = {
  list: operation({
    says: 'the saved filters',
    docs,
    input: z.object({}),
    run: (_, ctx) => shown({ endpoint: '/tasks/filters/list' }, ctx),
  }),
  save: operation({
    says: 'saves a filter; one of that name is replaced',
    docs,
    changes: 'changes',
    input: z.object({
      name: text('its name', 256),
      where: z.array(z.string()).min(1).describe('a criterion as name=value; lists with commas'),
    }),
    run: ({ name, where }, ctx) =>
      shown({ endpoint: '/tasks/filters/save', json: { name, criteria: toCriteria(where) } }, ctx),
  }),
  remove: operation({
    says: 'deletes a saved filter',
    docs,
    changes: 'changes',
    input: z.object({ id: id('its number') }),
    run: ({ id }, ctx) => {
      const path = `/tasks/filters/delete/${id}`
      return shown({ endpoint: '/tasks/filters/delete/{filter_id}', path, method: 'POST' }, ctx)
    },
  }),
}

export const tariff = {
  show: operation({
    says: 'the plan, what is used and what is left',
    docs,
    input: z.object({}),
    run: (_, ctx) => shown({ endpoint: '/user/tariff' }, ctx),
  }),
}

export const login = {
  get: operation({
    says: 'a token for the connection, from a captcha that a person has solved',
    docs,
    input: z.object({
      email: text('the user', 256),
      passwordHash: text('hash of the password; the vendor does not document which', 512),
      captchaToken: text('token of the solved captcha'),
    }),
    run: ({ email, passwordHash, captchaToken }, ctx) => {
      const json: Schemas['Login'] = { email, password_hash: passwordHash, captcha_token: captchaToken }
      return shown({ endpoint: '/auth/login', json, withoutToken: true }, ctx)
    },
  }),
}
