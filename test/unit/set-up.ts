import { readFileSync } from 'node:fs'
import { expect } from 'vitest'

/** The set-up that a connector's README holds as a CloudFormation template and the command that deploys it. */

// biome-ignore lint/suspicious/noExplicitAny: a template as it stands in the README
export type Template = any

export interface SetUp {
  resources: Template
  parameters: Template
  /** Names that stand after Ref, Fn::GetAtt, and in Fn::Sub. */
  references: string[]
  /** `NAME=value` as the command gives them. */
  overrides: [name: string, value: string][]
  deploy: string
}

export function setUpOf(connector: string): SetUp {
  const readme = readFileSync(new URL(`../../connectors/${connector}/README.md`, import.meta.url), 'utf8')
  const blocks = [...readme.matchAll(/^ *```(\w+)\n(.*?)^ *```$/gms)]
  const text = (kind: string, has: string) =>
    blocks.find(([, one, body = '']) => one === kind && body.includes(has))?.[2] ?? ''
  const template: Template = JSON.parse(text('json', 'AWSTemplateFormatVersion'))
  const written = JSON.stringify(template)
  const deploy =
    text('sh', 'cloudformation deploy')
      .replaceAll(/\\\n\s*/g, ' ')
      .split('\n')[0] ?? ''
  return {
    resources: template.Resources,
    parameters: template.Parameters,
    references: [
      ...[...written.matchAll(/"(?:Ref":"|Fn::GetAtt":\[")(\w+)"/g)].map(([, name = '']) => name),
      ...[...written.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => name),
    ],
    overrides: [...deploy.matchAll(/"(\w+)=([^"]+)"/g)].map(([, name = '', value = '']) => [name, value]),
    deploy,
  }
}

export const arnOf = (name: string) => ({ 'Fn::GetAtt': [name, 'Arn'] })

/** What holds for every template: nothing is named that it does not make, and the command gives what it asks for. */
export function expectComplete({ resources, parameters, references, overrides, deploy }: SetUp): void {
  const known = [...Object.keys(resources), ...Object.keys(parameters)]
  expect(references.length).toBeGreaterThan(10)
  expect(references.filter((name) => !known.includes(name))).toEqual([])
  expect(Object.keys(parameters).filter((name) => !references.includes(name))).toEqual([])
  expect(deploy).toContain(' --capabilities CAPABILITY_IAM --parameter-overrides ')
  expect(overrides.map(([name]) => name)).toEqual(Object.keys(parameters))
  for (const [name, value] of overrides) {
    if (!value.startsWith('$'))
      expect(value, name).toMatch(new RegExp(`^${parameters[name].AllowedPattern ?? '.+'}$`))
  }
  expect(parameters.Token).toMatchObject({ NoEcho: true, MinLength: 24 })
}

/** The rule sends by the role to the destination, and what fails goes to a queue that takes it from this rule. */
export function expectDelivery({ resources: made }: SetUp): void {
  expect(made.Destination.Properties).toMatchObject({
    ConnectionArn: arnOf('Connection'),
    InvocationEndpoint: { Ref: 'HookUrl' },
    HttpMethod: 'POST',
  })
  expect(made.Rule.Properties.Targets).toMatchObject([
    {
      Arn: arnOf('Destination'),
      RoleArn: arnOf('Sender'),
      RetryPolicy: { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 },
      DeadLetterConfig: { Arn: arnOf('Undelivered') },
    },
  ])
  expect(made.UndeliveredPolicy.Properties).toMatchObject({
    Queues: [{ Ref: 'Undelivered' }],
    PolicyDocument: {
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'events.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: arnOf('Undelivered'),
          Condition: { ArnEquals: { 'aws:SourceArn': arnOf('Rule') } },
        },
      ],
    },
  })
  const { AssumeRolePolicyDocument: trust, Policies: policies } = made.Sender.Properties
  expect([trust.Statement[0].Principal.Service].flat()).toContain('events.amazonaws.com')
  expect(trust.Statement[0].Action).toBe('sts:AssumeRole')
  const allowed = policies[0].PolicyDocument.Statement.map((one: Template) => [one.Action, one.Resource])
  expect(allowed).toContainEqual(['events:InvokeApiDestination', arnOf('Destination')])
}

/** The part of EventBridge's patterns that is used here: every leaf is a list of the values that may stand there. */
export function matches(pattern: Template, event: Template): boolean {
  return Object.entries(pattern).every(([key, wanted]) =>
    Array.isArray(wanted) ? wanted.includes(event?.[key]) : matches(wanted, event?.[key]),
  )
}
