/** The parts of a log line that people need. */
interface LogLine {
  readonly level: string;
  readonly message: string;
}

const SHOWN_LEVELS = new Set(['warn', 'error', 'fatal']);

/** The fields in which pino logs an error's message. */
const ERROR_FIELDS = ['err', 'error'];

/** Fields that every line has, or that are shown already. */
const COMMON_FIELDS = new Set([
  'level',
  'time',
  'pid',
  'hostname',
  'msg',
  'kind',
  'id',
  'datacenter',
  'v',
  'name',
]);

/**
 * A log line for a terminal, short and without JSON, or null for one that a person need not see (information and
 * below). A line that is no JSON (a crash, a library that prints) is always shown.
 * @param id the process
 */
export function humanLine(id: string, line: string): string | null {
  const parsed = parseLine(line);
  if (parsed === null) return `${id}  ${line}`;
  if (!SHOWN_LEVELS.has(parsed.level)) return null;
  return `${id}  ${parsed.level}: ${parsed.message}`;
}

/** The last lines before a death: every level, still without JSON. */
export function plainLine(line: string): string {
  const parsed = parseLine(line);
  return parsed === null ? line : `${parsed.level}: ${parsed.message}`;
}

function parseLine(line: string): LogLine | null {
  if (!line.startsWith('{')) return null;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null; // Begins like JSON but is none: shown as it is.
  }
  if (!isRecord(value)) return null;
  const level = levelName(value['level']);
  if (level === null) return null;
  const details: string[] = [];
  for (const [name, field] of Object.entries(value)) {
    if (COMMON_FIELDS.has(name)) continue;
    if (ERROR_FIELDS.includes(name)) details.push(describeError(field));
    else if (typeof field === 'string' || typeof field === 'number' || typeof field === 'boolean')
      details.push(`${name}=${field}`);
  }
  const message = typeof value['msg'] === 'string' ? value['msg'] : '';
  return { level, message: [message, details.join(' ')].filter((part) => part !== '').join('  ') };
}

function describeError(field: unknown): string {
  if (typeof field === 'string') return field;
  if (isRecord(field) && typeof field['message'] === 'string') return field['message'];
  return JSON.stringify(field);
}

/** Ours are names; pino's own are numbers. */
function levelName(level: unknown): string | null {
  if (typeof level === 'string') return level;
  if (typeof level !== 'number') return null;
  if (level >= 60) return 'fatal';
  if (level >= 50) return 'error';
  if (level >= 40) return 'warn';
  if (level >= 30) return 'info';
  return 'debug';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
