export { waitFor } from '@plenary/cluster/testing/wait-for';
