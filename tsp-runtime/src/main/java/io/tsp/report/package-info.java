/**
 * What people and programs read after a run: tables for terminals, JSON with stable names, traces for Perfetto. Prints
 * nothing itself. First file to read: {@link io.tsp.report.ComparisonReport}.
 */
@NullMarked
package io.tsp.report;

import org.jspecify.annotations.NullMarked;
