// SPDX-License-Identifier: Apache-2.0
package io.weft;

/**
 * A limit of the system or of weft leaves no room for one more thread, channel or group. It is thrown before the
 * system or the VM breaks on that limit; what exists goes on working.
 */
public final class LimitExceededException extends WeftException {
    private static final long serialVersionUID = 1;

    /** The limit's name as an administrator knows it. */
    private final String limit;

    /** The limit's value. */
    private final long maximum;

    LimitExceededException(String message, String limit, long maximum, Throwable cause) {
        super(message, cause);
        this.limit = limit;
        this.maximum = maximum;
    }

    /**
     * The name of the limit.
     *
     * @return for example {@code vm.max_map_count}, {@code cgroup pids.max} or {@code weft channels}; never null
     */
    public String limit() {
        return limit;
    }

    /**
     * The value of the limit, in its own unit: threads, memory maps, channels.
     *
     * @return the value, or 0 if it is not known
     */
    public long maximum() {
        return maximum;
    }
}
