import { useEffect, useState } from 'react';
import { serviceInfo, type ServiceInfo } from '../state/service-info.ts';

/** What the edge tells of the service; `asking` until it answered. */
export function useServiceInfo(): ServiceInfo | undefined | 'asking' {
  const [info, setInfo] = useState<ServiceInfo | undefined | 'asking'>('asking');
  useEffect(() => {
    let isGone = false;
    // It never fails: an edge that does not answer is `undefined`.
    void serviceInfo().then((answer) => {
      if (!isGone) setInfo(answer);
    });
    return () => {
      isGone = true;
    };
  }, []);
  return info;
}
