import type { CaptureKind, CaptureState } from '../state/local-media.ts';

export interface DeviceSelectProps {
  readonly kind: CaptureKind;
  readonly state: CaptureState;
  readonly onChoose: (kind: CaptureKind, deviceId: string) => void;
}

const LABELS = { microphone: 'Microphone', camera: 'Camera' } as const;

/** Why the list is empty: browsers name devices only to pages that may use them. */
function emptyText({ status, problem }: CaptureState): string {
  if (status === 'starting') return 'Waiting for your permission';
  if (status === 'failed') return problem === 'none' ? 'None found' : 'Not available';
  return 'Not in use';
}

/** The list of microphones or cameras. */
export function DeviceSelect({ kind, state, onChoose }: DeviceSelectProps) {
  const known = state.choices.some(({ deviceId }) => deviceId === state.deviceId);
  return (
    <label className="field">
      <span className="field-label">{LABELS[kind]}</span>
      <select
        value={known ? state.deviceId : ''}
        disabled={state.choices.length === 0}
        onChange={(event) => {
          onChoose(kind, event.target.value);
        }}
        data-testid={`${kind}-select`}
      >
        {known ? null : (
          <option value="">{state.choices.length === 0 ? emptyText(state) : 'Choose one'}</option>
        )}
        {state.choices.map(({ deviceId, label }) => (
          <option key={deviceId} value={deviceId}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
