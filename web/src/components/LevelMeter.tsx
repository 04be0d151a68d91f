import { useLevel } from '../hooks/use-level.ts';

const BARS = 14;

/** Shows how loud the microphone is. */
export function LevelMeter({
  track,
  muted,
}: {
  readonly track: MediaStreamTrack | undefined;
  readonly muted: boolean;
}) {
  const level = useLevel(track);
  const lit = muted ? 0 : Math.round(level * BARS);
  return (
    <div
      className="meter"
      role="meter"
      aria-label="Microphone level"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(muted ? 0 : level * 100)}
      data-testid="level-meter"
    >
      {Array.from({ length: BARS }, (_, index) => (
        <span key={index} className={index < lit ? (index > BARS * 0.8 ? 'is-loud' : 'is-lit') : ''} />
      ))}
    </div>
  );
}
