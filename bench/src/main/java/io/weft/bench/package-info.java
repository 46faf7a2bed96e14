// SPDX-License-Identifier: Apache-2.0
/**
 * The benchmarks in Java. Three kinds live here:
 *
 * <ul>
 *   <li>programs that {@code scripts/bench} starts, in turn with their peers in other languages, one process per
 *       figure: {@link io.weft.bench.PlatformRows}, {@link io.weft.bench.VirtualRows},
 *       {@link io.weft.bench.WeftRows}. They share {@link io.weft.bench.Sampler} and print sample lines;
 *   <li>{@link io.weft.bench.Report}, which turns the sample lines of all programs into the table and the JSON file;
 *   <li>JMH benchmarks ({@code *Benchmark}) of weft alone, for work on weft itself.
 * </ul>
 *
 * What each workload is, and how far the comparison is fair, is said in {@code bench/README.md}.
 */
package io.weft.bench;
