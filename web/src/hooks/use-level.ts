import { useEffect, useState } from 'react';

const LEVEL_READ_INTERVAL_MS = 80;

interface Listening {
  readonly context: AudioContext;
  readonly analyser: AnalyserNode;
  readonly source: MediaStreamAudioSourceNode;
}

/** Returns `undefined` when the browser refuses: some accept only a microphone with the sample rate of the loudspeaker. */
function listenTo(track: MediaStreamTrack): Listening | undefined {
  let context: AudioContext | undefined;
  try {
    context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    const source = context.createMediaStreamSource(new MediaStream([track]));
    source.connect(analyser);
    return { context, analyser, source };
  } catch (thrown) {
    console.warn('plenary: the level of the microphone cannot be shown', thrown);
    context?.close().catch(() => undefined);
    return undefined;
  }
}

/** The loudness of a track, from 0 to 1, smoothed for display. */
export function useLevel(track: MediaStreamTrack | undefined): number {
  const [level, setLevel] = useState(0);
  useEffect(() => {
    if (track === undefined || typeof AudioContext === 'undefined') return;
    const listening = listenTo(track);
    if (listening === undefined) return;
    const { context, analyser, source } = listening;
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      // A context that was created before the first click stays suspended until one; the meter does not move before.
      if (context.state === 'suspended') context.resume().catch(() => undefined);
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const decibels = 10 * Math.log10(power + 1e-10);
      const heard = Math.min(1, Math.max(0, (decibels + 60) / 50));
      setLevel((previous) => Math.max(heard, previous * 0.75));
    }, LEVEL_READ_INTERVAL_MS);
    return () => {
      clearInterval(timer);
      source.disconnect();
      context.close().catch(() => undefined);
      setLevel(0);
    };
  }, [track]);
  return level;
}
