"""`vyked.decorators.tcp` of release 2.1.91."""

from vyked_host import api, apideprecated, publish, request, subscribe, xsubscribe

deprecated = apideprecated
__all__ = ["api", "apideprecated", "deprecated", "publish", "request", "subscribe", "xsubscribe"]
