// SPDX-License-Identifier: Apache-2.0
package io.weft.bench;

import java.util.List;

/**
 * What the samples of one workload on one subject come to, in nanoseconds per operation.
 *
 * @param median the middle sample, or the mean of the two middle ones
 * @param min    the smallest sample
 * @param max    the largest
 * @param count  how many there were
 */
record Figure(double median, double min, double max, int count) {

    /** Of a list that is not empty. */
    static Figure of(List<Double> samples) {
        double[] sorted = samples.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        int n = sorted.length;
        return new Figure((sorted[(n - 1) / 2] + sorted[n / 2]) / 2, sorted[0], sorted[n - 1], n);
    }
}
