import type { CheckResult, ConnectorContext } from '../../../src/connector/contract.ts'
import { hubspot } from '../client.ts'
import type { Config } from '../schema.ts'
import { isRefusal } from './requests.ts'
import { mayHandOver } from './transcripts.ts'

type Context = ConnectorContext<Config>
type Warning = NonNullable<CheckResult['warnings']>[number]

/** What the credentials may, for what is configured. Writing is only proved by the first write. */
export async function check(ctx: Context): Promise<CheckResult> {
  const api = hubspot(ctx)
  const { config } = ctx
  const warnings: Warning[] = []
  const grant = (scope: string) => `Grant ${scope} to the service key or app in HubSpot`
  /** False when the scope is missing; any other failure is the check's own. */
  async function allowed(asking: Promise<unknown>, what: string, fix: string): Promise<void> {
    try {
      await asking
    } catch (error) {
      if (!isRefusal(error, 'forbidden', 'not_found')) throw error
      warnings.push({ what, fix })
    }
  }
  let known: Awaited<ReturnType<typeof api.account>> | null = null
  const readAccount = async () => {
    known = await api.account()
  }
  const contactScopes = grant('crm.objects.contacts.read and crm.objects.contacts.write')
  // First alone: a refused token is said once, not six times.
  await allowed(api.peek('contact'), 'Contacts cannot be read: no call finds its record', contactScopes)
  await Promise.all([
    allowed(
      readAccount(),
      'The account’s details cannot be read',
      'Nothing, unless portalId should be checked',
    ),
    allowed(
      api.peek('call'),
      config.calls
        ? 'Calls cannot be read: those that others log are not taken'
        : 'Calls cannot be read: none is found again after a lost answer',
      contactScopes,
    ),
    allowed(
      api.peek('company'),
      'Companies cannot be read: none is matched',
      grant('crm.objects.companies.read'),
    ),
    allowed(
      api.mayReadOwners(),
      config.calls
        ? 'Owners cannot be read: calls stay without one, and those that others log have no agent'
        : 'Owners cannot be read: calls stay without one',
      grant('crm.objects.owners.read'),
    ),
    mayAttach(config)
      ? allowed(
          api.mayUseFiles(),
          'Files cannot be used: no transcript is attached to a note',
          grant('files'),
        )
      : null,
    config.transcriptsExtension
      ? allowed(
          mayHandOver(ctx),
          'Transcripts cannot be handed over: HubSpot takes them from OAuth public apps only',
          `${grant('crm.extensions_calling_transcripts.read and crm.extensions_calling_transcripts.write')}, or remove transcriptsExtension`,
        )
      : null,
    checkUnique(api, config, warnings),
  ])
  const { portal, says, isNearlySpent } = accountOf(known)
  if (isNearlySpent) {
    warnings.push({
      what: 'Hardly any requests are left today, for all apps of the account together',
      fix: 'See in HubSpot under Settings → Integrations which app sends so many, or buy the API limit increase',
    })
  }
  if (portal !== null && config.portalId === undefined) {
    warnings.push({ what: 'There are no links to records', fix: `Set portalId to "${portal}"` })
  } else if (portal !== null && portal !== config.portalId) {
    warnings.push({
      what: 'The token belongs to another account than portalId says',
      fix: `Set portalId to "${portal}"`,
    })
  }
  if (ctx.region === undefined) {
    warnings.push({
      what: 'Numbers that HubSpot holds without a country code are not matched',
      fix: 'Set region to the country of this account, such as "DE"',
    })
  }
  if (config.calls && config.appSecret === undefined) {
    warnings.push({
      what: 'Calls that others log are heard of only when the list is read: webhooks are not taken without appSecret',
      fix: 'Set appSecret to the client secret of the app that sends them',
    })
  }
  return { says, warnings }
}

const mayAttach = ({ note }: Config): boolean => note.file ?? note.transcript

type Account = Awaited<ReturnType<ReturnType<typeof hubspot>['account']>>

/** HubSpot's daily limit is one for all apps of the account: how much the others leave is worth knowing. */
function accountOf(known: Account | null): { portal: string | null; says: string; isNearlySpent: boolean } {
  if (known === null) return { portal: null, says: 'account not named', isNearlySpent: false }
  const portal = String(known.portalId)
  if (known.daily === null) return { portal, says: `account ${portal}`, isNearlySpent: false }
  const { left, limit } = known.daily
  const says = `account ${portal}, ${left} of ${limit} requests left today`
  return { portal, says, isNearlySpent: left < limit / 20 }
}

/** Whether `hasUniqueValue` may be set on calls is not documented; what HubSpot says of the property is. */
async function checkUnique(api: ReturnType<typeof hubspot>, config: Config, warnings: Warning[]) {
  const name = config.externalIdProperty
  if (name === undefined) return
  const fix = `Make ${name} as a unique single-line text property of calls (cordboard crm setup tries to), or remove externalIdProperty`
  try {
    const { hasUniqueValue } = await api.callProperty(name)
    if (!hasUniqueValue) warnings.push({ what: `The property ${name} of calls is not unique`, fix })
  } catch (error) {
    if (!isRefusal(error, 'forbidden', 'not_found')) throw error
    warnings.push({ what: `The property ${name} of calls cannot be read`, fix })
  }
}
