import { hueOf, initials } from '../state/tiles.ts';

/** A person's initials on that person's colour. */
export function Avatar({
  name,
  id,
  size,
}: {
  readonly name: string;
  readonly id: string;
  readonly size: number;
}) {
  const hue = hueOf(id);
  return (
    <span
      className="avatar"
      aria-hidden="true"
      style={{
        width: size,
        height: size,
        fontSize: size * 0.4,
        background: `linear-gradient(145deg, hsl(${hue} 58% 52%), hsl(${(hue + 40) % 360} 55% 38%))`,
      }}
    >
      {initials(name)}
    </span>
  );
}
