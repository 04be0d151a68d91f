import type { Role } from '../protocol/room.ts';

/** The rights of roles beyond what everybody may do: one row for each right of a feature. */
export type PermissionTable = Readonly<Record<string, readonly Role[]>>;

/** Whether a role has a right. */
export const isPermitted = <Table extends PermissionTable>(
  table: Table,
  right: keyof Table & string,
  role: Role,
): boolean => table[right]?.includes(role) === true;
