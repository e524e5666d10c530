/** Ranks as processes: what only a launcher can show. */
package io.tsp.launch;
