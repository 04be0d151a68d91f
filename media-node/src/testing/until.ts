export { waitFor as until } from '@plenary/cluster/testing/wait-for';
