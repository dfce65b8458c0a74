/** The SQL of the views that show the records of each resource as a table, made of `src/spec/columns.ts`. */
import { columnsOf, viewName } from '../src/spec/columns.js';
import type { Column, ColumnType } from '../src/spec/columns.js';
import { RESOURCE_NAMES, parentOf } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';

/** What `information_schema` calls the type of a column. */
export const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'text',
  numeric: 'numeric',
  boolean: 'boolean',
  timestamp: 'timestamp with time zone',
  date: 'date',
  json: 'jsonb',
};

/** The days that there are, leap years included. Groups that capture nothing are twice as fast. */
const DATE =
  '(?:(?:[0-9]{2}[2468][048]|[0-9]{2}0[48]|[0-9]{2}[13579][26]|[02468][048]00|[13579][26]00)-02-29|[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])))';
const TIME =
  'T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]+)?)?(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?';
/** A year 0 Postgres does not know. */
const IS_DATE = `left(value, 4) <> '0000' and value ~ '^${DATE}(?:${TIME})?$'`;

const DATE_PARTS = 'left(value, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int';
/** Every part of a time, 0 where it is not there. */
const TIME_PARTS = [
  "coalesce(nullif(substr(value, 12, 2), '')::int, 0)",
  "coalesce(nullif(substr(value, 15, 2), '')::int, 0)",
  "case substr(value, 17, 1) when ':' then split_part(translate(substr(value, 18), '+-Z', '   '), ' ', 1)::float8 else 0 end",
].join(',\n        ');
/** How many characters behind the minutes the offset begins; 0: there is none. */
const OFFSET_AT = "strpos(translate(substr(value, 17), '-', '+'), '+')";
const OFFSET = `case ${OFFSET_AT} when 0 then interval '0' else make_interval(
        hours => substr(value, 16 + ${OFFSET_AT}, 3)::int,
        mins => (substr(value, 16 + ${OFFSET_AT}, 1) || right(value, 2))::int) end`;

/**
 * Casts that give NULL instead of an error. Each checks before it casts and calls only what is immutable, so that Postgres
 * writes it into the query that uses it, and an index can be made of it.
 */
const FUNCTIONS = [
  // 1,000 characters hold every number of JSON, and no numeric overflows by three digits of exponent.
  cast(
    'to_numeric',
    'numeric',
    `length(value) <= 1000 and value ~ '^-?[0-9]+(?:[.][0-9]+)?(?:[eE][-+]?[0-9]{1,3})?$'`,
    'value::numeric',
  ),
  cast('to_boolean', 'boolean', `value in ('true', 'false')`, `value = 'true'`),
  cast('to_date', 'date', IS_DATE, `make_date(${DATE_PARTS})`),
  cast(
    'to_timestamp',
    'timestamptz',
    IS_DATE,
    `(make_timestamp(${DATE_PARTS},
        ${TIME_PARTS}) at time zone 'UTC')
      - ${OFFSET}`,
  ),
];

function cast(name: string, type: string, condition: string, expression: string): string {
  return `create or replace function maesn_sync.${name}(value text) returns ${type}
  language sql immutable parallel safe as $$
    select case when ${condition} then ${expression} end
  $$;`;
}

function view(resource: Resource): string {
  const name = `maesn_sync.${viewName(resource)}`;
  const columns = [
    'connection_id',
    'key',
    ...(parentOf(resource) === undefined ? [] : ['parent_key']),
    ...columnsOf(resource).map((column) => `${toSql(column)} as "${column.name}"`),
    'modified_at',
    'synced_at',
  ];
  return `drop view if exists ${name};${BREAKPOINT}create view ${name} as
  select ${columns.join(',\n    ')}
  from maesn_sync.records
  where resource = '${resource}' and deleted_at is null;`;
}

function toSql({ path, type }: Column): string {
  const steps = path.map((step) => `'${step}'`);
  const value = (operator: string) =>
    ['record', ...steps.slice(0, -1)].join(' -> ') + ` ${operator} ${steps.at(-1) ?? ''}`;
  if (type === 'text') return value('->>');
  // JSON's null is SQL's.
  return type === 'json' ? `nullif(${value('->')}, 'null')` : `maesn_sync.to_${type}(${value('->>')})`;
}

/** Where a migration is cut into statements. */
const BREAKPOINT = '--> statement-breakpoint\n';

export function viewsSql(): string {
  return [...FUNCTIONS, ...RESOURCE_NAMES.map(view)].join(BREAKPOINT);
}
