import type { CaptureKind, CaptureState } from '../state/local-media.ts';

export interface DeviceSelectProps {
  readonly kind: CaptureKind;
  readonly state: CaptureState;
  readonly onChoose: (kind: CaptureKind, deviceId: string) => void;
}

const LABELS = { microphone: 'Microphone', camera: 'Camera' } as const;

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
        {known ? null : <option value="">{state.choices.length === 0 ? 'None found' : 'Choose one'}</option>}
        {state.choices.map(({ deviceId, label }) => (
          <option key={deviceId} value={deviceId}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
