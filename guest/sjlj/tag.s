# The exception tag of longjmp. Defined here rather than imported, so that the module stays closed.
	.globl	__c_longjmp
	.tagtype	__c_longjmp i32
__c_longjmp:
