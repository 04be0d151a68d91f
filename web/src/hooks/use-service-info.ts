import { useEffect, useState } from 'react';
import { serviceInfo, type ServiceInfo } from '../state/service-info.ts';

/** The edge's description of the service; `asking` until the edge has answered. */
export function useServiceInfo(): ServiceInfo | undefined | 'asking' {
  const [info, setInfo] = useState<ServiceInfo | undefined | 'asking'>('asking');
  useEffect(() => {
    let isGone = false;
    // The promise never rejects: without an answer it resolves to `undefined`.
    void serviceInfo().then((answer) => {
      if (!isGone) setInfo(answer);
    });
    return () => {
      isGone = true;
    };
  }, []);
  return info;
}
